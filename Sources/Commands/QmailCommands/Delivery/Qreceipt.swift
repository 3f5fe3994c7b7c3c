private import Addresses
private import Bytes
private import Injection
private import MessageHeader
private import Posix

/// qreceipt (qmail §12.2): tells a sender who asks for it that his message has been delivered.
enum Qreceipt {
    static let synopsis = "deliveryaddress"
    private static let field = "notice-requested-upon-delivery-to"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let address = call.arguments.first, let sender = call.environment["SENDER"] else { return usage("qreceipt", "qreceipt " + synopsis) }
        var input = Input(0)
        let fields: [HeaderField]
        do throws(HeaderInput.Failure) { fields = try HeaderInput(&input).fields } catch {
            switch error {
            case .reading(let error): return fatal("qreceipt", "unable to read message: \(error.reason)", ExitCode.temporary)
            case .tooLong: return fatal("qreceipt", "the header is longer than \(HeaderInput.maxBytes) bytes", ExitCode.permanent)
            }
        }
        var isWanted = false
        for field in fields where field.name.equalsIgnoringCase(Self.field.utf8) {
            guard let addresses = field.addresses else {
                return fatal("qreceipt", "unable to parse this: ".utf8 + field.bytes.dropLast(), ExitCode.permanent)
            }
            isWanted = isWanted || addresses.contains(address)
        }
        // A notice about a bounce would have nobody to go to.
        guard isWanted, !sender.isEmpty, !sender.elementsEqual(Address.doubleBounce.bytes) else { return ExitCode.ok }
        return send(notice(address, sender, fields), to: sender, call.environment)
    }

    private static func notice(_ address: [UInt8], _ sender: [UInt8], _ fields: [HeaderField]) -> [UInt8] {
        let mailbox = "<".utf8 + (Address(sender)?.quoted ?? sender) + ">\n".utf8
        var text = "From: DELIVERY NOTICE SYSTEM ".utf8 + mailbox + "To: ".utf8 + mailbox
        text += "Subject: success notice\n\nHi! This is the qreceipt program. Your message was delivered to the\nfollowing address: ".utf8
        text += address + ". Thanks for asking.\n".utf8
        if let identifier = fields.first(where: { $0.kind == .messageID }) { text += "Your ".utf8 + identifier.bytes }
        return text
    }

    private static func send(_ message: [UInt8], to sender: [UInt8], _ environment: Environment) -> Int32 {
        do throws(InjectionFailure) {
            do throws(SystemError) { try QmailHome.enter() } catch { throw InjectionFailure(.troubleInHome) }
            let injection = try Injection(program: environment["QMAILQUEUE"])
            try injection.write(message[...])
            _ = try injection.commit(sender: [], recipients: [sender])
            return ExitCode.ok
        } catch {
            if error == .notStarted { return fatal("qreceipt", "unable to fork", ExitCode.temporary) }
            return fatal(
                "qreceipt", "\(error.isPermanent ? "permanent" : "temporary") qmail-queue error",
                error.isPermanent ? ExitCode.permanent : ExitCode.temporary)
        }
    }
}
