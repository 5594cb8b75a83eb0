"""Traces and prompts of the stock client, run by its own interpreter; prints what it saw as one line of JSON."""

import json
import logging
import sys
import warnings

import mlflow
from mlflow.entities import SpanType

warnings.filterwarnings("ignore")


@mlflow.trace(span_type=SpanType.LLM)
def answer(question: str) -> str:
    with mlflow.start_span("look up", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"q": question})
        span.set_attributes({"documents": ["a", "b"], "score": 0.5, "count": 3})
        span.set_outputs(["flights are late"])
    return f"{question} - yes"


@mlflow.trace
def fails() -> None:
    raise ValueError("no answer")


def main() -> dict:
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mlflow").addHandler(handler)
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("answers")
    client = mlflow.MlflowClient()
    seen: dict = {"release": mlflow.__version__}
    with mlflow.start_run() as run:
        answer("Is it late?")
    first = mlflow.get_last_active_trace_id()
    try:
        fails()
    except ValueError:
        pass
    failed = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(first)
    spans = {span.name: span for span in trace.data.spans}
    seen["state"] = [trace.info.state.value, mlflow.get_trace(failed).info.state.value]
    seen["spans"] = {name: span.span_type for name, span in spans.items()}
    seen["inner"] = [
        spans["look up"].inputs,
        spans["look up"].outputs,
        spans["look up"].attributes["documents"],
        spans["look up"].attributes["score"],
        spans["look up"].attributes["count"],
        spans["look up"].parent_id == spans["answer"].span_id,
    ]
    seen["request"] = json.loads(trace.data.request)
    seen["exception"] = [event.name for event in mlflow.get_trace(failed).data.spans[0].events]
    find = lambda **more: [one.info.trace_id for one in mlflow.search_traces(return_type="list", **more)]  # noqa: E731
    seen["found"] = [
        sorted(find()) == sorted([first, failed]),
        find(filter_string="trace.status = 'ERROR'") == [failed],
        find(filter_string="trace.name = 'answer'") == [first],
        find(run_id=run.info.run_id) == [first],
        find(order_by=["timestamp_ms ASC"]) == [first, failed],
        find(max_results=1) == [failed],
    ]
    mlflow.set_trace_tag(first, "judge", "ada")
    seen["tag"] = client.get_trace(first).info.tags["judge"]
    mlflow.delete_trace_tag(first, "judge")
    seen["untagged"] = "judge" not in client.get_trace(first).info.tags
    mlflow.log_feedback(trace_id=first, name="good", value=True, rationale="right")
    mlflow.log_expectation(trace_id=first, name="truth", value="yes")
    seen["assessed"] = sorted((one.name, one.value) for one in mlflow.get_trace(first).info.assessments)
    mlflow.genai.register_prompt("greet", "Hello {{name}}", commit_message="first")
    second = mlflow.genai.register_prompt("greet", "Good day {{name}}", tags={"tone": "kind"})
    mlflow.genai.set_prompt_alias("greet", "production", second.version)
    seen["prompt"] = [
        mlflow.genai.load_prompt("greet", version=1).template,
        mlflow.genai.load_prompt("prompts:/greet@production").format(name="Ada"),
        [one.name for one in mlflow.genai.search_prompts()],
        [one.name for one in client.search_registered_models()],
    ]
    experiment = mlflow.get_experiment_by_name("answers").experiment_id
    seen["deleted"] = [client.delete_traces(experiment, trace_ids=[failed]), find() == [first]]
    seen["told"] = [text for text in told if "Failed to" in text and "flush" not in text]
    return seen


if __name__ == "__main__":
    print(json.dumps(main()))
