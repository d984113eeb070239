"""Where the heart lies in a CT: the network's field of view and the region where calcium may be found."""
