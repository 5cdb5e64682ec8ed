"""The pages to read first: how a document becomes searchable, how a question is answered."""
