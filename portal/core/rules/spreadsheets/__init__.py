"""Tables in files, as spreadsheet programs write them."""
