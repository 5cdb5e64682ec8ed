"""A larger cross-encoder whose scores a smaller one follows."""

from pathlib import Path

import torch

from steelyard.core.errors import InputError
from steelyard.core.tuning import BaseModel
from steelyard.infra.binding import base_model, check_base, read_binding
from steelyard.infra.models import file_sha256, find_model
from steelyard.tune.needs import quiet


def load_teacher(place: str, student: BaseModel) -> torch.nn.Module:
    """Return the scorer in a folder: a whole model, or an adapter of ours on its base.

    Raises:
        InputError: it reads other tokens than the student.
        SetupError: the folder, or the base that it was trained on, is not there.
    """
    import transformers

    folder = Path(place).expanduser()
    binding = read_binding(folder)
    adapted = (folder / "adapter_config.json").is_file()
    path = find_model(binding.base.name) if adapted and binding is not None else find_model(place)
    if file_sha256(path / "tokenizer.json") != student.tokenizer_sha256:
        raise InputError(
            f"reranker.teacher {place!r} has another tokenizer than {student.name!r}, so it "
            "cannot score the same inputs; choose a teacher of the same family"
        )
    given = {"num_hidden_layers": binding.layers} if binding is not None and binding.layers else {}
    with quiet():
        model: torch.nn.Module = transformers.AutoModelForSequenceClassification.from_pretrained(
            path, local_files_only=True, dtype="float32", num_labels=1, **given
        )
        if adapted and binding is not None:
            from peft import PeftModel

            check_base(binding, base_model(path, name=binding.base.name), artefact=place)
            model = PeftModel.from_pretrained(model, folder)
    return model.eval().requires_grad_(False)
