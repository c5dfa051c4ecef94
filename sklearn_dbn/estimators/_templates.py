"""Nested parameters of the templates inside an estimator."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from typing import Any

from sklearn.base import clone


class TemplateParameters:
    """Nested parameters of templates, also of None and of each template in a sequence.

    ``rbm__n_iter`` replaces None by the default template and sets its `n_iter`.
    ``rbm__0__n_iter`` sets that of the first template of a sequence, and replaces the sequence
    by a copy. As in scikit-learn, the template is set in place; one that occurs several times
    in the sequence is cloned first.
    """

    # Parameters that are templates. The default of one may depend on those before it.
    _template_names: tuple[str, ...]

    @abstractmethod
    def _default_template(self, name: str) -> Any:
        """A new template, used where the parameter ``name`` is None."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of estimators inside it, and of the estimators in
            a sequence, as in ``rbm__0__n_iter``.

        Returns
        -------
        params : dict
            Names of parameters mapped to their values.
        """
        params = super().get_params(deep=deep)
        for name in self._template_names if deep else ():
            if isinstance(params[name], list | tuple):
                for i, template in enumerate(params[name]):
                    params[f"{name}__{i}"] = template
                    if hasattr(template, "get_params"):
                        below = template.get_params().items()
                        params |= {f"{name}__{i}__{k}": x for k, x in below}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters of this estimator, and of those inside it.

        Parameters
        ----------
        **params : dict
            Values by name. ``rbm__n_iter`` sets a parameter of a template, of the default one
            if the template is None, and ``rbm__0__n_iter`` that of the first template of a
            sequence.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            When there is no parameter of that name.
        """
        nested: dict[str, dict[str, Any]] = defaultdict(dict)
        others = {}
        for key, value in params.items():
            name, _, below = key.partition("__")
            if below and name in self._template_names:
                nested[name][below] = value
            else:
                others[key] = value
        super().set_params(**others)
        for name in self._template_names:
            if name not in nested:
                continue
            template, below = getattr(self, name), nested[name]
            if template is None:
                setattr(self, name, self._default_template(name).set_params(**below))
            elif isinstance(template, list | tuple):
                setattr(self, name, self._with_items(name, template, below))
            else:
                super().set_params(**{f"{name}__{k}": x for k, x in below.items()})
        return self

    def _with_items(self, name: str, templates: list | tuple, params: dict[str, Any]) -> Any:
        """A sequence like ``templates`` with new ``params``, whose names start by an index."""
        found, nested = list(templates), defaultdict(dict)
        for key, value in params.items():
            index, _, below = key.partition("__")
            if index not in map(str, range(len(found))):
                raise ValueError(
                    f"Invalid parameter {key!r} for {name} of estimator {type(self).__name__}, "
                    f"a sequence of {len(found)} templates. Valid parameters begin with the "
                    f"index of a template, as in '{name}__0__n_iter'."
                )
            if below:
                nested[int(index)][below] = value
            else:
                found[int(index)] = value
        for i, below in nested.items():
            if sum(x is found[i] for x in found) > 1:
                found[i] = clone(found[i])
            found[i].set_params(**below)
        return tuple(found) if isinstance(templates, tuple) else found
