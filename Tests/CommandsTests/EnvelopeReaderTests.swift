import Addresses
import Frames
import QmailCommands
import Testing

@Suite struct EnvelopeReaderTests {
    private func read(_ bytes: [UInt8], _ step: Int) throws(QueueRefusal) -> (sender: String, recipients: [String], isComplete: Bool) {
        var reader = EnvelopeReader()
        var recipients: [String] = []
        var left = bytes[...]
        while !left.isEmpty, !reader.isComplete {
            try reader.take(left.prefix(step)) { (recipient) throws(QueueRefusal) in recipients.append(recipient.description) }
            left = left.dropFirst(step)
        }
        return (reader.sender.description, recipients, reader.isComplete)
    }

    /// spec-qmail §3.1, in one piece and byte by byte.
    @Test(
        arguments: [
            ("Fs@x\0Ta@y\0Tb@z\0\0", "s@x", ["a@y", "b@z"], true), ("F\0T\0\0", "", [""], true), ("Fs\0\0", "s", [], true),
            ("Fs\0\0rest", "s", [], true),
            ("F", "", [], false), ("", "", [], false), ("Fs\0Ta\0", "s", ["a"], false), ("Fs\0Ta", "s", [], false),
        ] as [(String, String, [String], Bool)])
    func records(_ bytes: String, _ sender: String, _ recipients: [String], _ isComplete: Bool) throws {
        for step in [1, 3, 1000] {
            let done = try read(Array(bytes.utf8), step)
            #expect(done.sender == sender)
            #expect(done.recipients == recipients)
            #expect(done.isComplete == isComplete)
        }
    }

    @Test(
        arguments: [
            ("Xs\0\0", .badEnvelope), ("\0\0", .badEnvelope), ("Ts\0Fr\0\0", .badEnvelope), ("Fs\0Fr\0\0", .badEnvelope),
            ("Fs\0Xr\0\0", .badEnvelope),
            ("Fs\0T\(String(repeating: "r", count: 1003))\0\0", .addressTooLong), ("F\(String(repeating: "s", count: 1003))", .addressTooLong),
            ("Fs\0Ta\nb\0\0", .permanentlyRejected),
        ] as [(String, QueueRefusal)])
    func refusals(_ bytes: String, _ refusal: QueueRefusal) {
        for step in [1, 7, 2000] { #expect(throws: refusal) { try read(Array(bytes.utf8), step) } }
    }

    @Test func theLongestAddressIsTaken() throws {
        let longest = String(repeating: "r", count: Address.maxBytes)
        #expect(try read(Array("Fs\0T\(longest)\0\0".utf8), 100).recipients == [longest])
    }
}
