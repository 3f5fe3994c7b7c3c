import Addresses
import Bytes
import SMTPClient
import SMTPServer
import Testing

/// hardening.md "INJ-addr": whatever bytes an address has, what our client says is understood by our server as the same address, or refused by one of
/// them; and no form that it is written in has a separator in it.
@Suite struct AddressTravelTests {
    /// Bytes that have a meaning somewhere, and some that have none.
    private static let alphabet = Array("ab.@@<>\"\\()[],;:%!+-= \t#\u{1}\u{7F}".utf8) + [0x0D, 0x0A, 0x00, 0x80, 0xC3, 0xBC, 0xFF]

    private static func random(_ random: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<Int.random(in: 0...12, using: &random)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
    }

    @Test func noAddressHoldsALineEndOrNUL() {
        for byte in UInt8.min...UInt8.max {
            #expect((Address([0x61, byte, 0x62]) == nil) == [0x0D, 0x0A, 0x00].contains(byte))
        }
    }

    @Test(arguments: [SMTPServer.Profile.modern, .classic]) func whatIsSentIsUnderstoodOrRefused(_ profile: SMTPServer.Profile) throws {
        var generator = SystemRandomNumberGenerator()
        var travelled = 0
        for _ in 0..<20_000 {
            guard let sender = Address(Self.random(&generator)), let recipient = Address(Self.random(&generator)), !recipient.isNull else { continue }
            let (delivered, message) = converse(profile, sender, recipient)
            guard delivered else { continue }
            travelled += 1
            let envelope = try #require(message?.envelope)
            #expect(envelope == Envelope(sender: sender, recipients: [recipient]), "\(sender.quoted.text) \(recipient.quoted.text)")
        }
        #expect(travelled > 500)
    }

    /// - Returns: whether the client reports delivery, and what the server took.
    private func converse(_ profile: SMTPServer.Profile, _ sender: Address, _ recipient: Address) -> (Bool, Dialog.Message?) {
        var client = ClientSession(peer: "192.0.2.1", heloHost: Array("c".utf8))
        let server = Dialog(profile, policy: Policy(greeting: Array("s".utf8)), greets: true)
        var delivered = false
        var waiting = client.begin(MailTransaction(sender: sender, recipients: [recipient], content: ContentSummary("x\n".utf8)))
        while true {
            while !waiting.isEmpty {
                switch waiting.removeFirst() {
                case .send(let bytes):
                    #expect(bytes.split(separator: 0x0A).allSatisfy { $0.last == 0x0D && !$0.dropLast().contains(0x0D) && !$0.contains(0) })
                    server.say(bytes)
                case .readContent: waiting += client.contentRead(Array("x\n".utf8)[...], isLast: true)
                case .finish(let report): delivered = report.combined.first?.class == .delivered
                case .idle, .close, .giveBack, .passOn, .startTLS: return (delivered, server.messages.first)
                case .restartDeadline: break
                }
            }
            let replies = server.replies()
            waiting = replies.isEmpty ? client.connectionClosed() : client.received(replies.utf8)
        }
    }

    @Test func quotedFormsAreReadBack() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            guard let address = Address(Self.random(&generator)) else { continue }
            #expect(!address.quoted.contains { $0 == 0x0D || $0 == 0x0A || $0 == 0 })
            #expect(!address.description.contains("\n"))
        }
    }
}
