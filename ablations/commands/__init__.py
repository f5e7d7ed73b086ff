"""The commands of the command line, a module each: `cli` parses their options and calls them."""
