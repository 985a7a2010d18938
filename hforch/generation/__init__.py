"""Answers from a loaded model: the engine's contract, completion, stops, the LangChain LLM."""
