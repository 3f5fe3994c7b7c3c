package import Frames

/// Ends a delivery without success: the report that qmail-local would give by its output and exit code (spec-qmail §2.4).
package struct Undeliverable: Error, Equatable {
    package let report: DeliveryReport

    private init(_ outcome: DeliveryReport.Outcome, _ text: some Collection<UInt8>) { report = DeliveryReport(outcome, Array(text)) }

    /// Exit code 111.
    package static func deferred(_ text: String) -> Undeliverable { Undeliverable(.deferred, text.utf8) }
    package static func deferred(_ text: [UInt8]) -> Undeliverable { Undeliverable(.deferred, text) }
    /// Exit code 100.
    package static func failed(_ text: String) -> Undeliverable { Undeliverable(.failed, text.utf8) }

    /// `WHAT SUBJECT: REASON. (#CODE)`, deferred.
    static func trouble(_ what: String, _ subject: some Collection<UInt8>, _ reason: String, _ code: String) -> Undeliverable {
        .deferred(Array("\(what) ".utf8) + subject + Array(": \(reason). (#\(code))\n".utf8))
    }

    static var isSticky: Undeliverable { .deferred("Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n") }
    static var forbiddenFile: Undeliverable { .deferred("Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n") }
    static var programsAreOff: Undeliverable { .deferred("Uh-oh: .qmail has prog delivery but this mailbox runs no programs. (#4.7.0)\n") }
    static var forbiddenProgram: Undeliverable { .deferred("Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n") }
}
