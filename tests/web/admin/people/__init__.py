"""Tests of pages about accounts and what is known of them."""
