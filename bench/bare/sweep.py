"""What a user would write without hforch: compare prompts, stops and batch sizes on three models, each loaded once.

The first argument is JSON: {"models": [[backend, folder], ...], "questions": [...], "styles": ["chat", ...],
"stops": [null, ["..."], ...], "sizes": [...], "tokens": 32}.
"""

import itertools
import json
import sys

from optimum.intel import OVModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

TEMPLATE = "Question: {}\n\nAnswer: Let's think step by step."
asked = json.loads(sys.argv[1])
for backend, folder in asked["models"]:
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    kind = AutoModelForCausalLM if backend == "pytorch" else OVModelForCausalLM
    model = kind.from_pretrained(folder, **({} if backend == "pytorch" else {"export": False}))
    for style, stops, size in itertools.product(asked["styles"], asked["stops"], map(int, asked["sizes"])):
        prompts = [TEMPLATE.format(question) for question in asked["questions"]]
        if style == "chat":
            messages = [[{"role": "user", "content": question}] for question in asked["questions"]]
            prompts = [
                tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True) for one in messages
            ]
        config = GenerationConfig(max_new_tokens=asked["tokens"], do_sample=False, pad_token_id=tokenizer.pad_token_id)
        for first in range(0, len(prompts), size):
            batch = prompts[first : first + size]
            inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=style != "chat")
            more = {"stop_strings": stops, "tokenizer": tokenizer} if stops else {}
            output = model.generate(**inputs, generation_config=config, **more)
            for answer in tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True):
                print(json.dumps([backend, folder, style, stops, size, answer]))
    del model
