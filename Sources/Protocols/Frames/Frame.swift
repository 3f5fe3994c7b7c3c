private import Bytes

/// What processes of Martlet say to each other: a type byte and a payload.
///
/// On stream sockets a frame stands behind its length (32-bit little-endian, counting type and payload); on SEQPACKET sockets, where the kernel
/// keeps the boundaries and a descriptor can travel with a frame, it is one packet.
///
/// Module `Frames` is each boundary's set of frames as values. It must not know sockets, nor what a role does with a frame. Every length is capped
/// and checked; what does not parse to its last byte is a ``FrameError``. lspawn reads the same formats in C (`martlet-lspawn/frames.c`).
package struct Frame: Equatable, Sendable {
    package var type: UInt8
    package var payload: ArraySlice<UInt8>

    package init(type: UInt8, payload: ArraySlice<UInt8>) {
        self.type = type
        self.payload = payload
    }

    /// A frame as one packet; nil when it is empty.
    package init?(packet: ArraySlice<UInt8>) {
        guard let type = packet.first else { return nil }
        self.init(type: type, payload: packet.dropFirst())
    }
}

/// Why a peer is dropped: it sent what no honest peer sends.
package enum FrameError: Error, Equatable {
    case tooLong(Int)
    case empty
    case unknownType(UInt8)
    case malformed(UInt8)
}

/// Cuts a stream into frames. Bytes in, frames out; the state is what is still incomplete.
package struct FrameDecoder {
    /// The largest frame taken, in bytes of type and payload.
    package let maxLength: Int
    private var buffer: [UInt8] = []
    private var start = 0

    package init(maxLength: Int) { self.maxLength = maxLength }

    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if start > 0, start == buffer.count || start > 1 << 16 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole frame, nil when more bytes are needed.
    package mutating func next() throws(FrameError) -> Frame? {
        guard buffer.count - start >= 4 else { return nil }
        let length = Int(buffer[start]) | Int(buffer[start + 1]) << 8 | Int(buffer[start + 2]) << 16 | Int(buffer[start + 3]) << 24
        guard length > 0 else { throw .empty }
        guard length <= maxLength else { throw .tooLong(length) }
        guard buffer.count - start - 4 >= length else { return nil }
        let type = buffer[start + 4]
        // A copy: the payload must not keep the buffer shared, or the next append would copy all of it.
        let payload = Array(buffer[start + 5..<start + 4 + length])
        start += 4 + length
        return Frame(type: type, payload: payload[...])
    }
}

extension [UInt8] {
    /// Appends a frame for a stream socket; `payload` writes what follows the type.
    package mutating func append(frame type: UInt8, _ payload: (inout [UInt8]) -> Void) {
        let start = count
        append(number: UInt32(0))
        append(type)
        payload(&self)
        overwrite(number: UInt32(count - start - 4), at: start)
    }
}
