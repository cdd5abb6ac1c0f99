// What keeps a page fresh. Without it the page still works.
"use strict";
