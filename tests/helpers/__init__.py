"""Makers of small files and bodies that several tests share."""
