"""The commands of ``coronary-calcium``, one module each."""
