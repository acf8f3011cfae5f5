"""What the business decides, with no input, no output and no clock."""
