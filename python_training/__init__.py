"""Recipes: functions that return a training config. `pgtfast` never imports them."""
