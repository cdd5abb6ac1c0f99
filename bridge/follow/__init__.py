"""Following a venue whose events the bridge numbers: hear, prove, fill the holes, settle, write."""
