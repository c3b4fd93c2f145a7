"""Verbs: a public function per use case. The only code that commits."""
