"""Tables in CSV as annotations: how columns are found, and cells become boxes, times and days.

Belongs here: what the formats that are tables share. Does not belong here: one such format (the modules above this
folder), how a CSV file is written (`database.csv_sheets`).
"""
