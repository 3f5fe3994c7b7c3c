/// The files of configuration that some program of ours reads (docs/control-files.md).
enum KnownFiles {
    static let control: Set<String> = [
        "me", "badmailfrom", "bouncefrom", "bouncehost", "concurrencylocal", "concurrencyremote", "databytes", "defaultdelivery", "defaultdomain",
        "defaulthost", "doublebouncehost", "doublebounceto", "envnoathost", "helohost", "idhost", "localiphost", "locals", "morercpthosts",
        "morercpthosts.cdb", "percenthack", "plusdomain", "qmqpservers", "queuelifetime", "rcpthosts", "smtpgreeting", "smtproutes", "timeoutconnect",
        "timeoutremote", "timeoutsmtpd", "virtualdomains", "bounceformat", "bouncemaxbytes", "concurrencyincoming", "concurrencyperhost",
        "concurrencyperip", "dnssec", "maxrecipients", "minuid", "moreipme", "queuesegmentbytes", "rcptprobe", "remoteprogram", "resolvers", "smtplisten",
        "smtprules", "smtpworkers", "timeoutlocal", "timeoutremoteprogram", "authinsecure", "authmechanisms", "concurrencypop3", "pop3listen",
        "pop3slisten",
    ]
    static let numbers = [
        "concurrencyincoming", "concurrencylocal", "concurrencyremote", "databytes", "queuelifetime", "timeoutconnect", "timeoutremote",
        "timeoutsmtpd",
    ]
    static let users: Set<String> = ["assign", "cdb", "include", "exclude", "mailnames", "subusers", "append"]
}
