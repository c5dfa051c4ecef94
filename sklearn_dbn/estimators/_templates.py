"""Nested parameters of the templates inside an estimator."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from typing import Any

from sklearn.base import clone


class TemplateParameters:
    """Nested parameters of templates: of those that are None, and of each in a sequence.

    ``rbm__n_iter`` puts the default template in the place of None and sets `n_iter` there;
    ``rbm__0__n_iter`` sets that of the first template of a sequence, which is replaced by
    another of the same templates. As in scikit-learn, a template itself is set in place; one
    that is in the sequence several times becomes a clone first.
    """

    # The parameters that are templates. A default may depend on those before it.
    _template_names: tuple[str, ...]

    @abstractmethod
    def _default_template(self, name: str) -> Any:
        """A new template, which None stands for in the parameter of that name."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the parameters of estimators inside it too, and of the estimators
            in a sequence, as in ``rbm__0__n_iter``.

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
            Values by name. A name such as ``rbm__n_iter`` sets a parameter of a template, the
            default one where the template is None, and ``rbm__0__n_iter`` that of the first
            one of a sequence.

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

    def _with_items(self, name: str, templates: list | tuple, asked: dict[str, Any]) -> Any:
        """A sequence like ``templates``, with what is asked for by index."""
        found, nested = list(templates), defaultdict(dict)
        for key, value in asked.items():
            index, _, below = key.partition("__")
            if index not in map(str, range(len(found))):
                raise ValueError(
                    f"Invalid parameter {key!r} for {name} of estimator {type(self).__name__}, "
                    f"a sequence of {len(found)} templates. Valid parameters begin with the "
                    f"place of a template, as in '{name}__0__n_iter'."
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
