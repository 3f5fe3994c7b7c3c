// AccountAdministration
internal import GRDB
