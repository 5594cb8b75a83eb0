"""What skl2onnx leaves out of its conversions, added for as long as one runs. The parity check judges the result.

Trees compare features rounded to float32, also after a float64 scaler; they know which way a missing value goes at
a split; and they may split on nothing but being missing (an infinite threshold, on which skl2onnx searches
forever). Imputers: of text, where what is missing reaches ONNX as the empty string, and of float64, for which ONNX
Runtime has none. Linear support vectors: without a decision on ZipMap they are refused in a pipeline, and with one
everywhere.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["mended_converters"]

_TREE_MODULES = ("decision_tree", "gradient_boosting", "random_forest")
_TREES = ("DecisionTree", "ExtraTree", "ExtraTrees", "RandomForest", "GradientBoosting")

Converter = Callable[[Any, Any, Any], None]


@contextmanager
def mended_converters() -> Iterator[None]:
    """Puts the mended converters in place of skl2onnx's within the block."""
    registry: Any = importlib.import_module("skl2onnx.common._registration")
    importlib.import_module("skl2onnx.operator_converters")  # fills the registry
    pool, before = registry._converter_pool, dict(registry._converter_pool)

    def replace(alias: str, mend: Callable[[Converter], Converter]) -> None:
        known = pool.get(alias)
        if known is not None:
            pool[alias] = registry.RegisteredConverter(mend(known), known.get_allowed_options())

    for name in _TREES:
        for kind in ("Classifier", "Regressor"):
            replace(f"Sklearn{name}{kind}", _in_float32)
    replace("SklearnSimpleImputer", _with_own_imputer)
    linear = pool.get("SklearnLinearSVC")
    if linear is not None:
        allowed = {**linear.get_allowed_options(), "zipmap": [True, False]}
        pool["SklearnLinearSVC"] = registry.RegisteredConverter(linear, allowed)
    try:
        with _mended_trees():
            yield
    finally:
        pool.update(before)


@contextmanager
def _mended_trees() -> Iterator[None]:
    """Tree nodes with the way of missing values, and infinite thresholds as they are."""
    trees: Any = importlib.import_module("skl2onnx.common.tree_ensemble")
    users: list[Any] = [
        importlib.import_module(f"skl2onnx.operator_converters.{name}") for name in _TREE_MODULES
    ]
    add, threshold = trees.add_tree_to_attribute_pairs, trees.sklearn_threshold

    def add_with_missing(pairs: Any, is_classifier: bool, tree: Any, *args: Any, **kwargs: Any) -> None:
        ways = pairs["nodes_missing_value_tracks_true"]
        first = len(ways)
        add(pairs, is_classifier, tree, *args, **kwargs)
        if hasattr(tree, "missing_go_to_left"):  # scikit-learn 1.3 and later
            ways[first:] = [int(way) for way in tree.missing_go_to_left]

    def threshold_or_infinite(value: float, dtype: Any, mode: str) -> Any:
        return threshold(value, dtype, mode) if math.isfinite(value) else value

    trees.sklearn_threshold = threshold_or_infinite
    for user in users:
        user.add_tree_to_attribute_pairs = add_with_missing
    try:
        yield
    finally:
        trees.sklearn_threshold = threshold
        for user in users:
            user.add_tree_to_attribute_pairs = add


def _in_float32(convert: Converter) -> Converter:
    """The converter of a tree or an ensemble, given float64 features rounded to float32 as scikit-learn does."""

    def converted(scope: Any, operator: Any, container: Any) -> None:
        from onnx import TensorProto
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        given, result = operator.inputs[0], operator.outputs[-1]
        if not isinstance(given.type, DoubleTensorType):
            convert(scope, operator, container)
            return
        rounded = _Variable(scope.get_unique_variable_name("rounded"), FloatTensorType(given.type.shape))
        single = _Variable(scope.get_unique_variable_name("single"), FloatTensorType(result.type.shape))
        container.add_node("Cast", [given.full_name], [rounded.full_name], to=TensorProto.FLOAT)
        convert(scope, _Operator(operator, [rounded], [*operator.outputs[:-1], single]), container)
        declared = TensorProto.DOUBLE if isinstance(result.type, DoubleTensorType) else TensorProto.FLOAT
        container.add_node("Cast", [single.full_name], [result.full_name], to=declared)

    return converted


class _Variable:
    """As much of a skl2onnx variable as its converters of trees read."""

    def __init__(self, name: str, kind: Any) -> None:
        self.full_name = self.onnx_name = name
        self.type = kind


class _Operator:
    """An operator with other inputs and outputs."""

    def __init__(self, operator: Any, inputs: list[Any], outputs: list[Any]) -> None:
        self._operator = operator
        self.inputs, self.outputs = inputs, outputs
        self.input_full_names = [each.full_name for each in inputs]
        self.output_full_names = [each.full_name for each in outputs]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)


def _with_own_imputer(convert: Converter) -> Converter:
    """SimpleImputer of text and of float64, whose missing values are the empty string and NaN."""

    def converted(scope: Any, operator: Any, container: Any) -> None:
        imputer, kind = operator.raw_operator, type(operator.inputs[0].type).__name__
        own = kind in ("StringTensorType", "DoubleTensorType") and _is_missing(imputer.missing_values)
        if own and not imputer.add_indicator:
            _impute(scope, operator, container)
        else:
            convert(scope, operator, container)

    return converted


def _impute(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto
    from skl2onnx.common.data_types import StringTensorType
    from skl2onnx.operator_converters.common import concatenate_variables

    imputer = operator.raw_operator
    joined = concatenate_variables(scope, operator.inputs, container)
    if isinstance(joined, list):
        (joined,) = joined
    number, missing, fill = (scope.get_unique_variable_name(name) for name in ("number", "missing", "fill"))
    shape = [1, len(imputer.statistics_)]
    if isinstance(operator.inputs[0].type, StringTensorType):
        texts = [str(each).encode() for each in imputer.statistics_]
        container.add_initializer(fill, TensorProto.STRING, shape, texts)
        codes = {"keys_strings": [""], "values_int64s": [1], "default_int64": 0}
        container.add_node("LabelEncoder", [joined], [number], op_domain="ai.onnx.ml", op_version=2, **codes)
        container.add_node("Cast", [number], [missing], to=TensorProto.BOOL)
    else:
        container.add_initializer(
            fill, TensorProto.DOUBLE, shape, [float(each) for each in imputer.statistics_]
        )
        container.add_node("IsNaN", [joined], [missing], op_version=13)
    container.add_node("Where", [missing, fill, joined], [operator.outputs[0].full_name], op_version=9)


def _is_missing(marker: Any) -> bool:
    """NaN, None or pandas' NA."""
    return (
        marker is None
        or type(marker).__name__ == "NAType"
        or (isinstance(marker, float) and math.isnan(marker))
    )
