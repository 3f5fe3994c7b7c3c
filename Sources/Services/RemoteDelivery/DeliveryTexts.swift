private import Bytes
package import Frames

/// What qmail-remote says of deliveries that reach no server (spec-qmail §14.2).
package enum DeliveryTexts {
    package static let noHostFoundNow = DeliveryReport(.deferred, "Sorry, I couldn't find any host by that name. (#4.1.2)\n")
    package static let noExchanger = DeliveryReport(.failed, "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n")
    package static let noConnection = DeliveryReport(.deferred, "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n")
    package static let noControls = DeliveryReport(.deferred, "Unable to read control files. (#4.3.0)\n")
    package static let unreadable = DeliveryReport(.deferred, "Unable to read message. (#4.3.0)\n")
    package static let outOfResources = DeliveryReport(.deferred, "System resources temporarily unavailable. (#4.3.0)\n")
    package static let noHostName = DeliveryReport(.failed, "Sorry, address must include host name. (#5.1.3)\n")
    package static let bestPreference = DeliveryReport(
        .failed,
        "Sorry. Although I'm listed as a best-preference MX or A for that host,\n"
            + "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n")
    /// RFC 7505 §4.1.
    package static let nullExchanger = DeliveryReport(.failed, "Sorry, that host says that it takes no mail. (#5.1.10)\n")

    // Of a program in qmail-remote's place (spec-qmail §14.1).
    static let programCrashed = DeliveryReport(.deferred, "qmail-remote crashed.\n")
    static let programSaidNothing = DeliveryReport(.deferred, "qmail-remote produced no output.\n")
    static let programNotRun = DeliveryReport(.failed, "Unable to run qmail-remote.\n")
    package static let programNotRunNow = DeliveryReport(.deferred, "Unable to run qmail-remote.\n")

    package static func programTooSlow(seconds: UInt64) -> DeliveryReport {
        DeliveryReport(.deferred, "Program did not end within \(seconds) seconds and was ended. (#4.3.0)\n")
    }

    package static func noHost(named host: ArraySlice<UInt8>) -> DeliveryReport {
        let shown = host.map { $0.isGraphic ? $0 : ASCII.question }
        return DeliveryReport(.failed, Array("Sorry, I couldn't find any host named ".utf8) + shown + Array(". (#5.1.2)\n".utf8))
    }
}
