"""Errors travel to the wire and come back as the class that was raised."""

from __future__ import annotations

import inspect

import pytest

from holdfast.kernel import errors
from holdfast.kernel.errors import (
    HoldfastError,
    IntegrityError,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PolicyRefused,
    error_classes,
    error_from_wire,
)


def make(cls: type[HoldfastError]) -> HoldfastError:
    if cls is PolicyRefused:
        return PolicyRefused("Refused.", unmet=["two approvals", "no drift"], hint="Ask for approval.")
    return cls("The depth '-1' is not positive.", hint="Use 1 or more.", details={"given": "-1"})


@pytest.mark.parametrize("cls", error_classes())
def test_every_class_comes_back_from_the_wire(cls: type[HoldfastError]) -> None:
    error = make(cls)
    back = error_from_wire(error.to_wire("req-7"), cls.status)
    assert type(back) is cls
    assert (back.message, back.hint, back.details) == (error.message, error.hint, error.details)
    assert back.request_id == "req-7"


def test_every_class_of_the_module_can_travel() -> None:
    declared = {
        cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, HoldfastError)
    }
    assert declared - {HoldfastError} == set(error_classes())


def test_codes_are_distinct_and_statuses_are_errors() -> None:
    assert len({cls.code for cls in error_classes()}) == len(error_classes())
    assert all(400 <= cls.status < 600 for cls in error_classes())


def test_too_large_is_invalid_input() -> None:
    assert issubclass(PayloadTooLarge, InvalidInput)
    assert PayloadTooLarge.status == 413


def test_an_unknown_code_is_a_plain_error_with_its_message() -> None:
    back = error_from_wire({"error": {"code": "from_the_future", "message": "No."}}, 418)
    assert type(back) is HoldfastError
    assert back.message == "No."


def test_an_error_in_the_inference_protocols_form_is_the_same_error() -> None:
    error = NotFound("There is no endpoint 'x' here.", hint="There are: y.", details={"name": "x"})
    back = error_from_wire({"error": str(error), **error.to_wire("req-8")["error"]}, 404)
    assert type(back) is NotFound
    assert (back.message, back.hint, back.details, back.request_id) == (
        error.message, error.hint, error.details, "req-8",
    )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"error": "text"}, {"error": None}, {"detail": []}])
def test_a_body_that_is_not_ours_names_the_status(body: dict[str, object]) -> None:
    assert "502" in error_from_wire(body, 502).message


@pytest.mark.parametrize("unmet", [None, "two approvals", 7])
def test_a_policy_refusal_with_strange_details_still_is_one(unmet: object) -> None:
    back = error_from_wire(
        {"error": {"code": "policy_refused", "message": "No.", "details": {"unmet": unmet}}}
    )
    assert isinstance(back, PolicyRefused)
    assert back.details == {"unmet": []}


def test_the_text_of_an_error_is_its_message_and_hint() -> None:
    assert str(IntegrityError("It is damaged.", hint="Restore it.")) == "It is damaged. Restore it."
