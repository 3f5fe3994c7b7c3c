private import Bytes
internal import MessageHeader
internal import Posix

/// The header of a message, read from a descriptor.
struct HeaderInput {
    let fields: [HeaderField]
    /// What of the body was read with it, the empty line included.
    let bodyStart: ArraySlice<UInt8>

    enum Failure: Error {
        case reading(SystemError)
        case tooLong
    }

    /// No header of a message is longer. The body has no limit here.
    static let maxBytes = 16 << 20

    init(_ input: inout Input) throws(Failure) {
        var splitter = HeaderSplitter()
        var size = 0
        while let line = try HeaderInput.line(&input) {
            size += line.count
            guard size <= HeaderInput.maxBytes else { throw .tooLong }
            switch splitter.take(line) {
            case .header: continue
            case .separator: (fields, bodyStart) = (splitter.fields, [ASCII.lf])
            case .body: (fields, bodyStart) = (splitter.fields, [ASCII.lf] + line)
            }
            return
        }
        splitter.finish()
        (fields, bodyStart) = (splitter.fields, [])
    }

    private static func line(_ input: inout Input) throws(Failure) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) { return try input.line(limit: maxBytes) } catch {
            throw .reading(SystemError(call: "read", subject: "", errno: error.errno))
        }
    }
}
