"""Loads compiled libraries in the one order that works; import this before usearch.

usearch loads NumKong with RTLD_GLOBAL, and ONNX Runtime, loaded after that, crashes while it
initialises (usearch 2.26.6 with numkong 7.8.6, onnxruntime 1.31.1). The other order is fine.
"""

import onnxruntime

__all__ = ["onnxruntime"]
