"""The bone stream: where a joint stands, seen from the joint it hangs on."""

stream = 'bone'
