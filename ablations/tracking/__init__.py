"""The record of what ran. The only package that imports mlflow."""
