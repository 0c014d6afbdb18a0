"""The addresses of the pages and of the published files."""

urlpatterns: list = []
