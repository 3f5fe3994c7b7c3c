private import LocalDelivery

// Manuals: what instructions of .qmail files run.
extension Applet {
    static let delivery: [Applet] = [martletLocal]

    private static let martletLocal = Applet(
        name: "martlet-local", section: 8, summary: "deliver mail to one user, as that user", synopsis: "",
        description: [
            "The delivery worker: started by martlet-lspawn under the recipient's identity, in his home, with a socket on descriptor 0. It takes "
                + "deliveries one after the other and ends when it has been idle. Not for people to start."
        ],
        exitCodes: doneOrTemporary, run: { _ in runDeliveryWorker() })
}
