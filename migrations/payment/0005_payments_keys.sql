-- The key of a payment's call is made of the payment's id, which is unique already.
alter table payments drop constraint payments_psp_key_key;
