// ServerTLS
internal import NIOSSL
