"""What a user would write without hforch: import, load, generate, print each token when it arrives."""

import sys

from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.generation.streamers import BaseStreamer


class Print(BaseStreamer):
    """Prints tokens immediately; transformers' own TextStreamer waits for the end of a word."""

    prompt = True

    def put(self, value):
        if not self.prompt:
            print(tokenizer.decode(value), end="", flush=True)
        self.prompt = False

    def end(self):
        print(flush=True)


question = "What is electroencephalography?"
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
inputs = tokenizer(f"Question: {question}\n\nAnswer: Let's think step by step.", return_tensors="pt")
config = GenerationConfig(max_new_tokens=4, do_sample=False, pad_token_id=tokenizer.pad_token_id)
print(f"> {question}", flush=True)
model.generate(**inputs, generation_config=config, streamer=Print())
