"""What keys do, by subject: each module is a part of the app, each method `action_<id>` an entry of the keymap."""
