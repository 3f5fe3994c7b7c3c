internal import RoleContext

/// Whom qmail-queue names in its Received line instead of the uid (qmail §3.1).
struct Invokers {
    private let words: [UInt32: String]

    /// - Parameter own: the queue's account. An installation under one account tells nobody apart by it.
    init(_ accounts: Accounts, own: UInt32) {
        let named = [("alias", "by alias"), ("qmaild", "from network"), ("qmails", "for bounce")]
        words = Dictionary(named.map { (accounts[$0].uid, $1) }, uniquingKeysWith: { first, _ in first }).filter { $0.key != own }
    }

    /// - Parameter isNetwork: whether role smtpd says so.
    func words(uid: UInt32, isNetwork: Bool) -> String { isNetwork ? "from network" : words[uid] ?? "by uid \(uid)" }
}
