"""What comparisons look like: tables for terminal, Markdown and CSV, and the HTML report with its figures."""
