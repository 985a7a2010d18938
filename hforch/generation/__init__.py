"""Text generation with a loaded model: the engine interface, completions, stop sequences, the LangChain LLM."""
