"""What a user would write without hforch: import, load, generate, print text when it arrives."""

import sys

import openvino_genai as genai

question = "What is electroencephalography?"
pipe = genai.ContinuousBatchingPipeline(sys.argv[1], genai.SchedulerConfig(), "CPU", {})
config = pipe.get_config()
config.max_new_tokens, config.apply_chat_template = 4, False
print(f"> {question}", flush=True)
prompt = f"Question: {question}\n\nAnswer: Let's think step by step."
pipe.generate([prompt], [config], lambda piece: print(piece, end="", flush=True))
