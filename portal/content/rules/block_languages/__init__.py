"""The shipped wording of the content blocks in each language, and how the wording check finds its points there."""
