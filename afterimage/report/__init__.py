"""What a person looks at: the page, its figures and its tables as text."""
