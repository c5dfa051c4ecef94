"""A training that the cache may keep."""

from sklearn_dbn._cache import cached


def remembered(memory, key, train):
    """The result of ``train(progress)``, from the cache if it is there under ``key``."""
    with cached(memory, key) as entry:
        result = entry.value
        if result is None:
            result = train(entry.checkpoint)
            entry.keep(result)
    return result
