"""De-identification: transforms, text, tables and the measure of what risk remains."""
