private import Bytes
private import Glibc
internal import Reception

/// UCSPI-TLS: what carries this program's connection can encrypt it when asked. It names three descriptors in variables: SSLCTLFD takes the request,
/// SSLREADFD and SSLWRITEFD are the inside of TLS from then on.
struct TLSOnRequest {
    private let control: Int32
    private let input: Int32
    private let output: Int32

    private static let handshakeSeconds: UInt64 = 30
    private static let maxAnswerBytes = 1 << 14

    /// Nil where nobody offers it.
    init?(_ environment: Environment) {
        func descriptor(_ name: String) -> Int32? {
            environment[name].flatMap { parseDecimal($0, maxDigits: 6) }.map(Int32.init).flatMap { fcntl($0, F_GETFD) < 0 ? nil : $0 }
        }
        guard let control = descriptor("SSLCTLFD"), let input = descriptor("SSLREADFD"), let output = descriptor("SSLWRITEFD") else { return nil }
        self.control = control
        self.input = input
        self.output = output
    }

    /// Has the connection encrypted: descriptors 0 and 1 become the inside. What was read before must have been used up.
    /// - Returns: nil when that failed; the connection is of no use then.
    func begin() -> TLSDetails? {
        let stream = TimedStream(input: control, output: control, seconds: Self.handshakeSeconds)
        var answer: [UInt8] = []
        do throws(TimedStream.Failure) {
            try stream.write(Array("Y".utf8))
            // Variables with a NUL behind each, and another at the end.
            while answer.suffix(2) != [0, 0] {
                let part = try stream.read()
                answer += part
                guard !part.isEmpty, answer.count <= Self.maxAnswerBytes else { return nil }
            }
        } catch {
            return nil
        }
        guard dup2(input, 0) == 0, dup2(output, 1) == 1 else { return nil }
        for descriptor in Set([control, input, output]) where descriptor > 2 { close(descriptor) }
        var variables: [String: [UInt8]] = [:]
        for entry in answer.split(separator: 0) {
            guard let equals = entry.firstIndex(of: ASCII.equals) else { continue }
            variables[entry[..<equals].text] = Array(entry[(equals + 1)...])
        }
        return TLSDetails { variables[$0] } ?? TLSDetails(version: Array("TLS".utf8), cipher: Array("unknown".utf8))
    }
}
