"""The failpoints of the product, and which role comes by each."""

POINTS = {
    "accept.before_append": "api",
    "accept.after_append": "api",
    "route.before_attempt": "routing",
    "route.after_attempt": "routing",
    "route.before_call": "routing",
    "route.after_call": "routing",
    "route.after_outcome": "routing",
    "route.before_publish": "routing",
    "route.after_publish": "routing",
    "resolve.after_claim": "routing",
    "resolve.before_publish": "routing",
    "post.before_commit": "ledger",
    "post.before_publish": "ledger",
    "post.after_publish": "ledger",
    "project.before_commit": "projection",
    "project.after_commit": "projection",
    "project.before_publish": "projection",
    "project.after_publish": "projection",
}
"""Each point and the role that comes by it. A commit is before its publishing, and publishing and
acknowledging are one step of the log: `after_publish` is after both."""


def set_point(points, point, deed="kill"):
    """Have the next process that comes by this point do that: whole at once, or it reads a rest."""
    made = points.with_name(f"{point}.set")
    made.write_text(deed)
    made.rename(points / point)
