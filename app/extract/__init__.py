"""Tables out of files: what is asked of each file, how every cell is proven, how a table is saved."""
