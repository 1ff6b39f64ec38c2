"""What is learned from: training sets as files, and samples read straight from SQL."""
