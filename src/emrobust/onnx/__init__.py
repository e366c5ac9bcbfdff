"""A network as an ONNX graph, in fp32 and int8, and the engine that runs it on a processor.

`graph` needs PyTorch; `engine` and `probe` do not, so that a service can do without it.
"""
